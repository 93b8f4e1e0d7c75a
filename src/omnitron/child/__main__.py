from omnitron.child.boot import main

main()

"""What daemon, keepers and replicas say to each other: messages and the services that carry them."""

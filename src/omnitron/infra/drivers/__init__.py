"""Where servers come from: `native` finds and installs binaries, `users` says as whom they run."""

"""Log records of replicas: written by the keeper, read by daemon and command line."""

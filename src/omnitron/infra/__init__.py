"""Infrastructure of a stack: what its apps need, where it listens, how it runs, who may use it.

Pure: `plan`, `settle`, `ports`, `urls`, `kinds`. Doing, each in a throwaway process of its own (`steps`): `prepare`
makes a native service ready to run, `provision` gives each app its own database and role, `migrate` brings a database
up to date.
"""

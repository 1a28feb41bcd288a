"""The commands of `nets.cli.main`, one module each."""

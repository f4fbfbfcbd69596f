"""`python -m posology` is the command line."""

from posology.cli.main import main

main()

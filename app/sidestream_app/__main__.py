"""`python -m sidestream_app` is `sidestream`."""

from sidestream_app.cli import main

if __name__ == "__main__":
    main()

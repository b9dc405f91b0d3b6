"""``python -m memonger``."""

from memonger.cli.main import main

if __name__ == "__main__":
    main()

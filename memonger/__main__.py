"""``python -m memonger``."""

from memonger.cli.start import main

if __name__ == "__main__":
    main()

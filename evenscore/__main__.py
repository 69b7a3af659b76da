"""``python -m evenscore`` is the command ``evenscore``."""

from __future__ import annotations

from evenscore.cli import main

if __name__ == "__main__":
    main()

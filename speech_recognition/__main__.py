"""`python -m speech_recognition COMMAND`."""

import sys

from speech_recognition.cli import main

sys.exit(main(sys.argv[1:]))

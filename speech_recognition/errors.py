"""What a user did wrong, as opposed to what went wrong in the program."""


class InputError(ValueError):
    """Bad usage or bad input.

    The message is one line that names the file or the parameter and says what
    to do. The command line prints it and exits with status 2.
    """

"""Tables of exceptions: what a check may let pass, and why."""

UNTIL_SPLIT = "until it is split"


def unexcepted(problems: dict[str, str], exceptions: dict[str, str]) -> list[str]:
    """Return the sentences of what is not excepted, and one for each exception that is no longer needed.

    ``problems`` gives a sentence for each key, ``exceptions`` a reason. A temporary exception may outlive its need.
    """
    stale = sorted(key for key, reason in exceptions.items() if key not in problems and reason != UNTIL_SPLIT)
    return [sentence for key, sentence in problems.items() if key not in exceptions] + [
        f"remove this exception, it is no longer needed: {key}" for key in stale
    ]

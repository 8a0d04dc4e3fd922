"""Tables of exceptions: what a check may let pass, and why."""


def unexcepted(problems: dict[str, str], exceptions: dict[str, str]) -> list[str]:
    """Return the sentences of what is not excepted, and one for each exception that is no longer needed.

    ``problems`` gives a sentence for each key, ``exceptions`` a reason.
    """
    stale = sorted(exceptions.keys() - problems.keys())
    return [sentence for key, sentence in problems.items() if key not in exceptions] + [
        f"remove this exception, it is no longer needed: {key}" for key in stale
    ]

"""What a server says, checked where it comes in: whoever reads it later finds the types that it expects.

A *shape* is a type, a list with the shape of its items, or a dictionary with the shapes under its keys; a key that ends
with ``?`` may be missing or null. What a shape does not name may be anything.
"""

from typing import Any

import orjson

_CONFIG: dict[str, Any] = {
    "name": str, "subjects?": [str], "retention?": str, "storage?": str, "discard?": str, "max_age?": int,
    "duplicate_window?": int, "num_replicas?": int, "max_msgs?": int, "max_bytes?": int, "max_msg_size?": int,
    "max_msgs_per_subject?": int, "metadata?": {},
}  # fmt: skip
_STATE: dict[str, Any] = {"messages": int, "bytes": int, "first_seq": int, "last_seq": int}
_STREAM = {"config": _CONFIG, "state": _STATE, "created?": str}
_CONSUMER = {
    "name": str, "num_pending": int, "num_ack_pending": int, "delivered": {"stream_seq": int},
    "config": {"filter_subject?": str},
}  # fmt: skip
_LIMITS = {"max_storage?": int, "max_memory?": int, "max_streams?": int, "max_bytes_required?": bool}
_USAGE = {"limits?": _LIMITS, "storage?": int, "memory?": int, "streams?": int}
# By the start of the API's subject.
_ANSWERS: dict[str, Any] = {
    "INFO": _USAGE | {"tiers?": {}},
    "STREAM.INFO.": _STREAM,
    "STREAM.CREATE.": _STREAM,
    "STREAM.UPDATE.": _STREAM,
    "STREAM.NAMES": {"streams?": [str]},
    "STREAM.MSG.GET.": {"message": {"seq": int, "subject": str, "time": str, "data?": str, "hdrs?": str}},
    "CONSUMER.CREATE.": {"num_pending": int},
    "CONSUMER.LIST.": {"consumers?": [_CONSUMER]},
}
_ERROR = {"code": int, "err_code?": int, "description?": str}
_INFO = {
    "version?": str, "max_payload?": int, "client_id?": int, "client_ip?": str, "proto?": int, "nonce?": str,
    "headers?": bool, "auth_required?": bool, "tls_required?": bool, "tls_available?": bool, "connect_urls?": [str],
}  # fmt: skip


def read_answer(subject: str, payload: bytes) -> dict[str, Any]:
    """Read an answer of JetStream's API (``$JS.API.<subject>``). Raises :class:`ValueError` where it makes no sense."""
    document = orjson.loads(payload)
    if fits(document, {"error": _ERROR}):
        return dict(document)
    shape: dict[str, Any] = next((shape for start, shape in _ANSWERS.items() if subject.startswith(start)), {})
    if not fits(document, {"error?": _ERROR} | shape):
        raise ValueError("fields are missing, or of another type")
    return dict(document)


def is_info(document: object) -> bool:
    """Tell whether a document is what a server may say of itself."""
    return fits(document, _INFO)


def fits(value: object, shape: Any) -> bool:
    """Tell whether a value has a shape."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_has(value, key, inner) for key, inner in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    return type(value) is shape


def _has(document: dict[str, Any], key: str, shape: Any) -> bool:
    name = key.removesuffix("?")
    value = document.get(name)
    return fits(value, shape) if value is not None else key != name

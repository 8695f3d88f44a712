"""Judges the error replies of a server: does one concern a record, or the whole server?

Only what is known to come from a record's own data is judged as damage. Any other error reply is the
server's: the same call may succeed later, or on another server.
"""

from __future__ import annotations

import re

from redis.exceptions import ResponseError

#: Redis 6.2 puts this before the error of a script, and once more before its own refusals.
_WRAPPED = re.compile(r"Error running script \(call to \w+\): @\w+: ?\d+: (?:@\w+: ?\d+: )?(?:ERR )?")
_CODE = re.compile(r"-?([A-Z]{2,}) ")
#: A mistake that Lua found while our script ran, and its line in the whole source.
_LUA = re.compile(r"user_script:(\d+): (?!Script killed|not enough memory)")
#: A command of our script got a number that the record does not hold.
_NUMBER = re.compile(r"(hash )?value is not |invalid expire time|resulting score is not|.* is not a float")
#: How servers refuse a command inside a script to this user, without a code.
_NOT_PERMITTED = ("ACL failure in script", "The user executing the script can't")

#: The server is no primary, or has no data yet. Behind its name another one may be ready.
_NOT_IN_SERVICE = frozenset({"READONLY", "MASTERDOWN", "LOADING"})


def is_not_in_service(error: Exception) -> bool:
    """Return whether the server must be left: it can serve no caller now, and another one may."""
    return code_of(error) in _NOT_IN_SERVICE


def code_of(error: Exception) -> str:
    """Return the code of an error reply, such as ``OOM``, also from inside a script; empty without one."""
    code = getattr(error, "status_code", None)
    if code not in (None, "ERR"):
        return str(code)
    if not isinstance(error, ResponseError):
        return ""
    text = _text(error)
    if text.startswith(_NOT_PERMITTED):
        return "NOPERM"
    found = _CODE.match(text)
    return found[1] if found else ""


def damage_of(error: Exception) -> str:
    """Return in one word how the record of a call is damaged; empty where the error is the server's.

    Never the text: Lua may quote the record.
    """
    if code_of(error) == "WRONGTYPE":
        return "wrong_type"
    text = _text(error)
    if found := _LUA.match(text):
        return f"script_line_{found[1]}"
    return "wrong_number" if _NUMBER.match(text) else ""


def _text(error: Exception) -> str:
    return _WRAPPED.sub("", str(error), count=1)

import pytest
from redis._parsers.base import BaseParser

from askonce.adapters.redis.refusals import code_of, damage_of

#: The wording of Redis 6.2, of Redis 7 and of Valkey 9: each is what that server sends.
WRAPPED = "ERR Error running script (call to f_65da508308f43ecfb61e1c43eccc44980617dea2): @user_script:1: "
OURS = "script: 65da508308f43ecfb61e1c43eccc44980617dea2, on @user_script:1."
REFUSALS = {
    f"{WRAPPED}@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.": "OOM",
    f"OOM command not allowed when used memory > 'maxmemory'. {OURS}": "OOM",
    f"{WRAPPED}@user_script: 1: -READONLY You can't write against a read only replica.": "READONLY",
    f"READONLY You can't write against a read only replica. {OURS}": "READONLY",
    f"{WRAPPED}@user_script: 1: -MISCONF Redis is configured to save RDB snapshots": "MISCONF",
    f"MISCONF Errors writing to the AOF file: No space left on device {OURS}": "MISCONF",
    f"NOREPLICAS Not enough good replicas to write. {OURS}": "NOREPLICAS",
    f"{WRAPPED}@user_script: 1: The user executing the script can't run this command": "NOPERM",
    f"ERR The user executing the script can't run this command or subcommand {OURS}": "NOPERM",
    "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.": "NOPERM",
    "NOPERM User u has no permissions to run the 'eval' command": "NOPERM",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "MASTERDOWN",
    "LOADING Redis is loading the dataset in memory": "LOADING",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL.": "BUSY",
    "CLUSTERDOWN The cluster is down": "CLUSTERDOWN",
    "ERR Unknown command called from script script: on @user_script:1.": "",
    f"{WRAPPED}user_script:1: not enough memory": "",
    "ERR user_script:7: Script killed by user with SCRIPT KILL. script: on @user_script:7.": "",
}
DAMAGES = {
    f"{WRAPPED}WRONGTYPE Operation against a key holding the wrong kind of value": "wrong_type",
    f"WRONGTYPE Operation against a key holding the wrong kind of value {OURS}": "wrong_type",
    f"{WRAPPED}user_script:31: attempt to compare nil with number": "script_line_31",
    f"ERR user_script:31: attempt to compare nil with number {OURS}": "script_line_31",
    f"ERR hash value is not an integer {OURS}": "wrong_number",
    f"{WRAPPED}ERR value is not an integer or out of range": "wrong_number",
}


@pytest.mark.parametrize(("reply", "code"), REFUSALS.items(), ids=lambda text: text[-60:])
def test_refusal_of_a_server_is_its_code_and_no_damage(reply, code):
    error = BaseParser.parse_error(reply)

    assert (code, "") == (code_of(error), damage_of(error))


@pytest.mark.parametrize(("reply", "damage"), DAMAGES.items(), ids=lambda text: text[-60:])
def test_error_from_the_data_of_a_record_is_damage(reply, damage):
    assert damage == damage_of(BaseParser.parse_error(reply))

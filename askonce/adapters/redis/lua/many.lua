-- many: let the definitions of a script for many jobs see one of them at a time.
local ALL_KEYS, ALL_ARGV = KEYS, ARGV
local KEYS, ARGV = {ALL_KEYS[2]}, {unpack(ALL_ARGV, 1, 16)}

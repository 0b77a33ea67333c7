# A source compiled for a higher instruction set must not leak code that the linker may use elsewhere:
# each such object defines one global symbol, its kernel table, and nothing weak.
. "$(dirname "$0")/common.sh"
need_tool python3
python3 "$(dirname "$0")/isa_symbols.py" "$BUILD"

"""The simulator: the real handlers on an AWS in memory, a virtual clock, and everything that can go wrong.

`schedule` says what happens, `tasks` lets handlers take turns call by call, `world` carries a schedule
out, `invariants` say what must hold, `mutants` are faults that must be noticed. See `make chaos`.
"""

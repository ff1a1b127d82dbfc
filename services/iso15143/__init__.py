"""ISO/TS 15143-3 (AEMP 2.0) telematics pages: every dialect read, one form written. Pure.

The XSD itself was not at hand: elements and dialects are those that have been seen in the field,
and the names that were not seen are marked [GK] (general knowledge) in `elements`.
"""

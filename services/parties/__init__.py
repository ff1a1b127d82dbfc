"""Parties: legal entities, their users and roles, and the local issuer of tokens."""

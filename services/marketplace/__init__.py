"""Marketplace: the registry of machines with title, custody and liens, and their listings."""

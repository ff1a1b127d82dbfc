"""What tests stand on: real servers, services run in process, and callers with real tokens."""

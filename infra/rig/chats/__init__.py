"""Chats, as people in them see them: see `infra/rig/talk`."""

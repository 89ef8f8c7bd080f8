"""Deploys Convoke into an emulator of AWS on this machine, and works with it as its users do."""

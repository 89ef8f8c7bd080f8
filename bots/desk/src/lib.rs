//! What both bots do with a command: the one place where what was asked for meets the platform.

//! What the bots say and understand, and nothing else: texts in, commands out; views in, cards out. No clock, no network.

"""The demo's world: cards, merchants, employers and those who may ask for them."""

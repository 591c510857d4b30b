"""The live half of `itest upgrade`: the image is changed under runs in every state."""

"""The engine on MXNet. Nothing outside of this folder imports MXNet."""

"""What those who operate an exchange do to it: the same whether it is closed or being served."""

from . import markets as markets  # whose acts are acts, too
from . import scheduling as scheduling
from .acts import perform
from .asking import asked
from .socket import Administration

__all__ = ["Administration", "asked", "perform"]

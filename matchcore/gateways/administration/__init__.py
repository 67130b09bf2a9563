"""What those who operate an exchange do to it: the same whether it is closed or being served."""

from .asking import administered
from .socket import Administration

__all__ = ["Administration", "administered"]

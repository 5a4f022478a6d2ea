"""Which addresses a service's URL may lead to: the public ones, and those that the installation allows."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")


def may_be_called(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Tell whether an address is public, or in one of the networks `allowed`.

    What is no address is not. An address that stands for another one is what that one is.
    """
    try:
        found = _meant(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    return _is_public(found) or any(found in network for network in allowed)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    odd = address.is_multicast or address.is_reserved or address.is_unspecified
    # teredo carries an address of a client behind a server of its own choice
    tunnelled = isinstance(address, IPv6Address) and address.teredo is not None
    return address.is_global and not odd and not tunnelled


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the address of version 4 that one of version 6 stands for, or the same one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address

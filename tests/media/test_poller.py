"""Many sockets behind one descriptor: what one reader does costs no other its datagrams."""

from __future__ import annotations

import asyncio
import socket

from bridge.media.poller import Poller

from ..rig.waiting import wait_for


async def test_a_reader_may_close_another_socket_that_has_something_in_the_same_look() -> None:
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for sock in socks:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"there", sock.getsockname())
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    poller = Poller()
    read: list[int] = []

    def reads(number: int) -> int:
        if socks[number].recv(100):
            read.append(number)
        for other in {0, 1} - set(read):  # whichever is read first closes the other
            if socks[other].fileno() >= 0:
                poller.remove(socks[other])
                socks[other].close()
        return 1

    for number, sock in enumerate(socks):
        poller.add(sock, lambda now, number=number: reads(number))  # type: ignore[misc]
    try:
        await wait_for(lambda: 2 in read, what="the third socket to be read")
        assert len(poller) == 2
        assert not faults
    finally:
        poller.close()
        for sock in socks:
            sock.close()

"""A proxy before a remote that cuts connections, stalls, refuses, and loses answers to pushes."""

import asyncio
import re
import threading

CHUNK = 65536
# The longest that an answer to be lost is waited for.
PATIENCE = 20
PUSH_REQUEST = re.compile(rb"POST \S*/git-receive-pack ")
FETCH_REQUEST = re.compile(rb"(?:GET|POST) \S*git-upload-pack")


class Proxies:
    """An event loop in a thread of its own, and the proxies that it runs."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def open(self):
        """A new proxy."""
        proxy = Proxy(self)
        self.call(proxy.listen())
        return proxy

    def end(self):
        """Cuts every connection and ends the thread."""
        asyncio.run_coroutine_threadsafe(self._cancel(), self.loop).result(timeout=30)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _cancel(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)


class Proxy:
    """One listener. A fault is armed for the next connection that it fits."""

    def __init__(self, proxies):
        self.proxies = proxies
        self.port = 0
        self.armed = None
        self.injected = []
        self._server = None

    async def listen(self):
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True, backlog=128
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def arm(self, fault):
        """From now on, this goes wrong."""
        if fault.name == "refused":
            asyncio.run_coroutine_threadsafe(self._refuse(fault.detail), self.proxies.loop)
        else:
            self.armed = fault

    def disarm(self, fault):
        """Takes a fault back. Whether it has been injected."""
        if self.armed is fault:
            self.armed = None
        return fault in self.injected

    async def _refuse(self, seconds):
        """Closes the listener for some time."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        await asyncio.sleep(seconds)
        await self.listen()

    async def _serve(self, reader, writer):
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.proxies.upstream)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(self, (reader, writer), upstream)
        await connection.run()

    def inject(self):
        """The armed fault, which happens now and is gone."""
        fault, self.armed = self.armed, None
        self.injected.append(fault)
        return fault


class Connection:
    """A client's connection and the one to the remote that answers it."""

    def __init__(self, proxy, client, upstream):
        self.proxy = proxy
        self.client, self.upstream = client, upstream
        self.pushes = False
        # Whether the client sends what it pushes, and how much of it has passed.
        self.sending = False
        self.sent = self.received = 0
        # What the remote has said to a push whose answer is lost.
        self.lost = None

    async def run(self):
        tasks = [asyncio.ensure_future(self._to_remote()), asyncio.ensure_future(self._to_client())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if not task.done():
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self.cut()

    def cut(self):
        for _, writer in (self.client, self.upstream):
            writer.transport.abort()

    def wants(self, *names):
        return self.proxy.armed is not None and self.proxy.armed.name in names

    def _look(self, chunk):
        """Finds out what the client is about."""
        if b"git-receive-pack /" in chunk:
            # Of git's own protocol: what comes next from the client is the push.
            self.pushes = True
        elif PUSH_REQUEST.search(chunk):
            self.pushes = self.sending = True
            self.sent = 0
        elif FETCH_REQUEST.search(chunk):
            self.pushes = self.sending = False
        elif self.pushes:
            self.sending = True

    async def _to_remote(self):
        while chunk := await self.client[0].read(CHUNK):
            self._look(chunk)
            if self.sending and self.wants("cut-sending") and self.sent + len(chunk) > self.proxy.armed.detail:
                left = max(0, self.proxy.armed.detail - self.sent)
                self.proxy.inject()
                self.upstream[1].write(chunk[:left])
                await self.upstream[1].drain()
                raise ConnectionAbortedError
            if self.sending and self.wants("answer-lost") and self.lost is None:
                self.lost = b""
            if self.wants("stalled"):
                seconds, goes_on = self.proxy.inject().detail
                await asyncio.sleep(seconds)
                if not goes_on:
                    raise ConnectionAbortedError
            self.sent += len(chunk)
            self.upstream[1].write(chunk)
            await self.upstream[1].drain()
        if self.upstream[1].can_write_eof():
            self.upstream[1].write_eof()

    async def _to_client(self):
        while chunk := await self._answer():
            if self.lost is not None:
                self.lost += chunk
                if self._was_accepted():
                    break
                continue
            if self.wants("cut-receiving") and self.received + len(chunk) > self.proxy.armed.detail:
                left = max(0, self.proxy.inject().detail - self.received)
                self.client[1].write(chunk[:left])
                await self.client[1].drain()
                raise ConnectionAbortedError
            self.received += len(chunk)
            self.client[1].write(chunk)
            await self.client[1].drain()
        if self.lost is not None:
            if self._was_accepted() and self.wants("answer-lost"):
                self.proxy.inject()
            raise ConnectionAbortedError
        if self.client[1].can_write_eof():
            self.client[1].write_eof()

    async def _answer(self):
        reading = self.upstream[0].read(CHUNK)
        return await (reading if self.lost is None else asyncio.wait_for(reading, PATIENCE))

    def _was_accepted(self):
        """Whether the remote has taken every ref. Its answer ends with an empty packet."""
        answer = self.lost
        return b"unpack ok" in answer and b"ok refs/" in answer and b"ng refs/" not in answer and b"0000" in answer

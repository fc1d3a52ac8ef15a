"""A batch of calls in one message, as Pyro5's `BatchProxy` sends it, answered within bounds.

Pyro's own daemon makes all answers before it looks how large they are together, and each of some thousand calls may
ask for all that there is.
"""

from __future__ import annotations

from typing import Any, Protocol

from Pyro5 import core, errors, protocol, serializers
from Pyro5.callcontext import current_context
from Pyro5.server import _get_attribute

from peers.errors import BadRequest
from peers.rpc.serving.served_connection import ServedConnection
from peers.rpc.transport import MAX_MESSAGE

MOST_CALLS = 1000
"""The most calls in one batch; what comes after them is refused."""


class BatchServer(Protocol):
    """What is needed of Pyro's daemon."""

    objectsById: dict[str, Any]  # noqa: N815 - Pyro gives the name.

    def methodcall_error_handler(
        self, daemon: Any, caller: Any, method: Any, arguments: Any, named: Any, error: Exception
    ) -> None:
        """Raises what a caller is told of an error."""

    def _sendExceptionResponse(  # noqa: N802 - Pyro gives the name.
        self, connection: Any, seq: int, serializer_id: int, exc_value: Exception, tbinfo: Any
    ) -> None: ...


def answer_batch(daemon: BatchServer, connection: ServedConnection) -> None:
    """Answers the batch that has come, up to the first call that fails, or that there is no room for.

    ProtocolError for what is no call, or in no serializer; another CommunicationError if it cannot be sent."""
    message = protocol.recv_stub(connection, [protocol.MSG_INVOKE])
    serializer = serializers.serializers_by_id.get(message.serializer_id)
    if serializer is None:
        raise errors.ProtocolError("no such serializer")
    try:
        target, _method, calls, _named = serializer.loadsCall(message.data)
        served = daemon.objectsById.get(target)
        current_context.client = connection
        answers = serializer.dumps(_answers(daemon, served, calls, serializer))
    except Exception as error:  # noqa: BLE001 - Whatever it is, the caller is told of it, as of that of a single call.
        daemon._sendExceptionResponse(connection, message.seq, message.serializer_id, error, None)
        return
    reply = protocol.SendingMessage(
        protocol.MSG_RESULT, protocol.FLAGS_BATCH, message.seq, message.serializer_id, answers
    )
    connection.send(reply.data)


def _answers(daemon: BatchServer, served: object, calls: Any, serializer: Any) -> list[object]:
    if served is None:
        raise errors.DaemonError("unknown object")
    answers: list[object] = []
    size = 0
    for number, (name, arguments, named) in enumerate(calls):
        try:
            answer = _answer(daemon, served, name, arguments, named)
            size += len(serializer.dumps(answer))
            if number >= MOST_CALLS or size > MAX_MESSAGE:
                raise BadRequest(
                    field="batch", why=f"has at most {MOST_CALLS} calls, and answers of {MAX_MESSAGE} bytes in all"
                )
        except Exception as error:  # noqa: BLE001 - As above.
            answers.append(core._ExceptionWrapper(error))
            break
        answers.append(answer)
    return answers


def _answer(daemon: BatchServer, served: object, name: Any, arguments: Any, named: Any) -> object:
    method = _get_attribute(served, name)
    try:
        return method(*arguments, **named)
    except Exception as error:
        daemon.methodcall_error_handler(daemon, None, method, arguments, named, error)
        raise

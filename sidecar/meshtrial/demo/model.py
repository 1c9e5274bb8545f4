"""One model as an HTTP upstream: `python -m meshtrial.demo.model v2`.

`POST /predict` with `{"row": [64 numbers]}` answers `{"model": "v2", "prediction": 3}`.
"""

import asyncio
import sys

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshtrial import logs
from meshtrial.demo.digits import Model, train
from meshtrial.listening import Address, address_of, bind, http_server, stop_signals


class _Question(msgspec.Struct):
    row: list[float]


def model_app(model: Model) -> Starlette:
    """The application that serves one model."""

    async def predict(request: Request) -> Response:
        try:
            question = msgspec.json.decode(await request.body(), type=_Question)
            prediction = model.predict(question.row)
        except (msgspec.MsgspecError, IndexError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"model": model.version, "prediction": prediction})

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


async def _serve(version: str) -> None:
    bound = bind(Address("127.0.0.1", 0))
    with stop_signals() as stop:
        async with http_server(model_app(train(version)), bound):
            logs.EventLog("model").info("ready", http=str(address_of(bound)))
            await stop.wait()


if __name__ == "__main__":
    logs.configure()
    asyncio.run(_serve(sys.argv[1]))

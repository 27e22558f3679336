"""What a user writes first: a Flask view around the model, run by gunicorn's thread worker."""

from __future__ import annotations

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from bench.rival import network

app = Flask(__name__)
model = network.build(network.chosen())


@app.post("/predict")
def predict() -> ResponseReturnValue:
    return jsonify(scores=network.run(model, [request.get_json()["x"]])[0])

"""What a team writes in an afternoon: the same model behind a bare Flask view; the yardstick of ``bench.predict``."""

from __future__ import annotations

import threading

from flask import Flask, Response, jsonify, request

from model.builtin import CardDetector

app = Flask(__name__)
detector = CardDetector()
detector.load("cpu")
one_at_a_time = threading.Lock()


@app.post("/predict")
def predict() -> Response:
    """Decode, run the model, answer."""
    image = detector.decode(request.get_data(), request.content_type or "")
    with one_at_a_time:
        (result,) = detector.predict([image])
    return jsonify(detector.encode(result))

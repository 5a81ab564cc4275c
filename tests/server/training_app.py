"""The training graph as a server has it: real models, jobs and memory, with simple embeddings."""

from __future__ import annotations

from apprentice.graphs import episode as episodes
from apprentice.graphs import feedback as feedbacks
from apprentice.graphs import training as trainings
from tests.training.attempts import words

SETTINGS = {"batch": 8, "learning_rate": 2e-2, "max_steps": 24, "every": 12}

episode = episodes.build().compile(name="episode")
feedback = feedbacks.build(record_to=words).compile(name="feedback")
training = trainings.build(recall_from=words, settings=SETTINGS).compile(name="training")

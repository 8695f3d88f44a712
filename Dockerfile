# Workers, producer, beat, Flower, metrics and the demo's stand-ins: one image, a command for each (docker-compose.yml).
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# Before the code, so that a change of the code installs nothing.
COPY requirements/run.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt

COPY askonce askonce
COPY settings settings
COPY tasks tasks
COPY producer producer
COPY worker worker
COPY sandbox sandbox
COPY deploy/flower deploy/flower
COPY celeryconfig.py ./

# A name for its number: Celery warns of a user without one.
RUN groupadd --gid 10001 askonce && useradd --uid 10001 --gid 10001 --no-create-home --home-dir / askonce
# What is written: beat's schedule, and what Flower saw. A new volume takes its owner over. Records are on the
# server, and logs go to the standard output.
RUN install -d -o 10001 -g 10001 /var/lib/beat /var/lib/flower

# With the user alone the group would be root's.
USER 10001:10001
CMD ["celery", "-A", "worker.app", "worker"]

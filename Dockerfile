# Producer, worker and Flower: one image, three commands (docker-compose.yml).
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
COPY celeryconfig.py ./

# No file is written: records are on the server, logs go to the standard output.
USER 10001
CMD ["celery", "-A", "worker.app", "worker"]

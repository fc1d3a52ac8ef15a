# The command `bazaar` in an image; docker-compose.yml says what runs in it.
FROM python:3.11-slim

# 999 is also the database's user in the image `mongo`: both read the same key, and nobody else can. A volume takes
# over the owner of the directory it is first mounted on.
RUN groupadd --gid 999 bazaar \
    && useradd --uid 999 --gid 999 --create-home bazaar \
    && install -d -o bazaar -g bazaar /town /town/tls /authority

WORKDIR /app
COPY pyproject.toml README.md ./
COPY peers peers
COPY nameserver nameserver
COPY db db
COPY plots plots
RUN pip install --no-cache-dir .

USER bazaar
WORKDIR /home/bazaar
ENV PYTHONUNBUFFERED=1
CMD ["bazaar", "--help"]

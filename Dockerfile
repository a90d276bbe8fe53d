# docker build -t audio-tokenizer-bench .                                      torch as pip gives it: with CUDA on Linux x86-64 (run with --gpus all)
# docker build -t audio-tokenizer-bench --build-arg TORCH_INDEX=URL .          the index of CPU builds that pytorch.org names: several GB smaller
# docker run --rm -v "$PWD":/data audio-tokenizer-bench run --tokenizer mimi   results/ is written to the current folder

ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
COPY . .
ARG TORCH_INDEX=""
ARG EXTRAS=codec2,plot
ENV PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/bench
RUN /opt/bench/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[$EXTRAS]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/bench /opt/bench
ENV PATH=/opt/bench/bin:$PATH
WORKDIR /data
ENTRYPOINT ["bench"]
CMD ["--help"]

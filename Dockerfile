# docker build -t audio-tokenizer-bench .                                      torch for a CPU
# docker build -t audio-tokenizer-bench --build-arg TORCH=cu130 .              with CUDA 13.0, several GB more (run with --gpus all)
# docker run --rm -v "$PWD":/data audio-tokenizer-bench run --tokenizer mimi   results/ is written to the current folder

ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
COPY . .
ARG TORCH=cpu
ARG EXTRAS=codec2,plot
ENV UV_NO_CACHE=1
RUN python -m venv /opt/bench
RUN python -m pip install uv
RUN uv pip install --python /opt/bench --torch-backend "$TORCH" --constraints constraints.txt --build-constraints constraints.txt ".[$EXTRAS]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/bench /opt/bench
ENV PATH=/opt/bench/bin:$PATH
WORKDIR /data
ENTRYPOINT ["bench"]
CMD ["--help"]

# make demo and make test need nothing but Python 3.10 to 3.13 with venv, and pip's index.
PYTHON ?= python3
# A Python 3.7 for `make test-tf1`, for example PYTHON37=/opt/python3.7/bin/python
PYTHON37 ?= $(shell command -v python3.7 2>/dev/null)
VENV := .venv
VENV_TF1 := .venv-tf1
RUN := $(VENV)/bin/python
DEMO := demo

TRAIN = $(RUN) train_image_classifier.py
EVAL = $(RUN) eval_image_classifier.py

.PHONY: help demo test test-tf1 lint wheel clean

help:
	@echo 'make demo      train and evaluate a small ResNet on handwritten digits'
	@echo 'make test      run the tests'
	@echo 'make test-tf1  run the tests of the core under TensorFlow 1.15 (PYTHON37=<a Python 3.7>)'
	@echo 'make lint      check the style'
	@echo 'make wheel     build the wheel into dist/'
	@echo 'make clean     remove everything that these made'

$(VENV)/bin/pip:
	@echo 'Making $(VENV) ...'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/pip setup.py
	@echo 'Installing nets and TensorFlow into $(VENV) (a few minutes the first time) ...'
	$(RUN) -m pip install -q -e '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/pip setup.py
	@echo 'Installing nets, TensorFlow and the test tools into $(VENV) (a few minutes the first time) ...'
	$(RUN) -m pip install -q -e '.[demo,test]'
	@touch $@ $(VENV)/.demo

$(VENV_TF1)/.test: setup.py
	$(PYTHON37) -m venv $(VENV_TF1)
	$(VENV_TF1)/bin/python -m pip install -q 'tensorflow==1.15.5' 'tf-slim==1.1.0' 'numpy<1.19' 'protobuf<3.21' 'pytest<8'
	@touch $@

test: $(VENV)/.test
	$(RUN) -m pytest -n 2
	@echo 'All tests passed. What they prove: README.md, section "Proof"; their code: tests/'

# The core's tests are those right under tests/, and of the repair of tf-slim that it has nothing to do there.
test-tf1:
ifeq ($(PYTHON37),)
	@echo 'Skipped: there is no python3.7 on the PATH; name one with PYTHON37=<path>'
else
	$(MAKE) $(VENV_TF1)/.test
	$(VENV_TF1)/bin/python -m pytest -o filterwarnings= -o addopts= -q $(TF1_TESTS)
endif

TF1_TESTS = $(wildcard tests/test_*.py)

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .

wheel: $(VENV)/.test
	$(RUN) -m pip wheel -q --no-deps -w dist .
	@ls dist/*.whl

clean:
	rm -rf $(VENV) $(VENV_TF1) $(DEMO) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

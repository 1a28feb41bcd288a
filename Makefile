# make demo and make test need nothing but Python 3.10 to 3.13 with venv, and pip's index.
PYTHON ?= python3
# A Python 3.7 for `make test-tf1`, for example PYTHON37=/opt/python3.7/bin/python
PYTHON37 ?= $(shell command -v python3.7 2>/dev/null)
VENV := .venv
VENV_TF1 := .venv-tf1
RUN := $(VENV)/bin/python
DEMO := demo
DEMO_SEGMENT := demo-segment

# The demo's network and data; `digits` is the preprocessing without the mirroring that changes digits.
DIGITS := --model_name=resnet_v1_14 --dataset_name=digits --preprocessing_name=digits
# Short training: moving averages of batch norm that follow within a hundred steps, and a rate that falls to the end.
RECIPE := --batch_size=32 --max_number_of_steps=500 --optimizer=momentum --learning_rate=0.01 \
  --learning_rate_decay_type=polynomial --num_epochs_per_decay=11.1 --end_learning_rate=0.0001 --weight_decay=0.0005 \
  --label_smoothing=0.1 --batch_norm_decay=0.9 --save_summaries_secs=10 --log_every_n_steps=25 --seed=1

.PHONY: help demo demo-segment test test-tf1 soak lint wheel clean

help:
	@echo 'make demo      train and evaluate a small ResNet on handwritten digits'
	@echo 'make demo-segment  train, evaluate and run a small network that gives a class to every pixel'
	@echo 'make test      run the tests'
	@echo 'make test-tf1  run the tests of the core under TensorFlow 1.15 (PYTHON37=<a Python 3.7>)'
	@echo 'make soak      kill a training run 200 times, and compare the deepest networks with their origins (ten minutes and more)'
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

demo: $(VENV)/.demo
	rm -rf $(DEMO)
	$(RUN) train_image_classifier.py $(DIGITS) $(RECIPE) --train_dir=$(DEMO)
	$(RUN) eval_image_classifier.py $(DIGITS) --dataset_split_name=test --checkpoint_path=$(DEMO) --eval_dir=$(DEMO)/eval
	@echo 'Trained on 1,437 handwritten digits and evaluated on 360 others.'
	@echo 'The reports: $(abspath $(DEMO))/report.html and $(abspath $(DEMO))/eval/report.html'

# Images that the network has not seen, as files.
DRAW := from nets.data.segmentation import label_images, shapes; \
  [label_images.write_image(f'$(DEMO_SEGMENT)/images/{n}.png', shapes.draw('validation', n)[0]) for n in range(6)]

demo-segment: $(VENV)/.demo
	rm -rf $(DEMO_SEGMENT)
	mkdir -p $(DEMO_SEGMENT)/images
	$(RUN) -m nets segment train --train_dir=$(DEMO_SEGMENT) --seed=1
	$(RUN) -m nets segment eval --checkpoint=$(DEMO_SEGMENT)
	$(RUN) -c "$(DRAW)"
	$(RUN) -m nets segment predict $(DEMO_SEGMENT)/images --checkpoint=$(DEMO_SEGMENT) \
	  --output=$(DEMO_SEGMENT)/pictures --show features heatmap
	@echo 'Trained on 512 drawn images and evaluated on 128 others.'
	@echo 'The reports: $(abspath $(DEMO_SEGMENT))/report.html and $(abspath $(DEMO_SEGMENT))/eval/report.html'
	@echo 'The pictures: $(abspath $(DEMO_SEGMENT))/pictures'

test: $(VENV)/.test
	$(RUN) -m pytest -n 2 --dist worksteal
	@echo 'All tests passed. What they prove: README.md, section "Proof"; their code: tests/'

soak: $(VENV)/.test
	SOAK=1 SOAK_KILLS=200 $(RUN) -m pytest tests/origins tests/training/test_kills.py

# The core's tests are those right under tests/ but for recomputing, of restoring, and of the repair of tf-slim that it has
# nothing to do there.
test-tf1:
ifeq ($(PYTHON37),)
	@echo 'Skipped: there is no python3.7 on the PATH; name one with PYTHON37=<path>'
else
	$(MAKE) $(VENV_TF1)/.test
	$(VENV_TF1)/bin/python -m pytest -o filterwarnings= -o addopts= -q $(TF1_TESTS)
endif

TF1_TESTS = $(filter-out tests/test_recompute%,$(wildcard tests/test_*.py)) tests/checkpoints tests/slim_compat/test_repair.py

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .

wheel: $(VENV)/.test
	$(RUN) -m pip wheel -q --no-deps -w dist .
	@ls dist/*.whl

clean:
	rm -rf $(VENV) $(VENV_TF1) $(DEMO) $(DEMO_SEGMENT) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

"""Torch's residual networks, as torchvision's and timm's sources define them, for comparison with ours.

Written from what those libraries compute, and checked against them once: with torchvision 0.29.2 and timm 1.0.31 all
networks of NETWORKS give the same bits (see ../goldens/README.md). The attributes have the libraries' names, so that
their state dicts fit.
"""

import random_weights
import torch
from torch import nn

from nets.checkpoints import torch_names

# Kind of the units, units of each layer, groups, width of a group, and whether there is squeeze-and-excitation.
NETWORKS = {
    'resnet_v15_18': ('basic', (2, 2, 2, 2), 1, 64, False),
    'resnet_v15_34': ('basic', (3, 4, 6, 3), 1, 64, False),
    'resnet_v15_50': ('bottleneck', (3, 4, 6, 3), 1, 64, False),
    'resnet_v15_101': ('bottleneck', (3, 4, 23, 3), 1, 64, False),
    'resnet_v15_152': ('bottleneck', (3, 8, 36, 3), 1, 64, False),
    'resnext_50_32x4d': ('bottleneck', (3, 4, 6, 3), 32, 4, False),
    'resnext_101_32x4d': ('bottleneck', (3, 4, 23, 3), 32, 4, False),
    'resnext_101_32x8d': ('bottleneck', (3, 4, 23, 3), 32, 8, False),
    'resnext_101_64x4d': ('bottleneck', (3, 4, 23, 3), 64, 4, False),
    'se_resnext_50_32x4d': ('bottleneck', (3, 4, 6, 3), 32, 4, True),
    'se_resnext_101_32x4d': ('bottleneck', (3, 4, 23, 3), 32, 4, True),
    'wide_resnet_50_2': ('bottleneck', (3, 4, 6, 3), 1, 128, False),
    'wide_resnet_101_2': ('bottleneck', (3, 4, 23, 3), 1, 128, False),
}
PLANES = (64, 128, 256, 512)


class SqueezeAndExcitation(nn.Module):
    """Timm's `SEModule`; its widths are multiples of 8, which these are of themselves in networks of real width."""

    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, net):
        return net * torch.sigmoid(self.fc2(torch.relu(self.fc1(net.mean((2, 3), keepdim=True)))))


class Unit(nn.Module):
    """Torchvision's `BasicBlock` or `Bottleneck`: the stride is in the first of two, the second of three."""

    def __init__(self, kind, channels, planes, stride, groups, width_per_group, squeezes):
        super().__init__()
        width = int(planes * width_per_group / 64) * groups
        convs = ([(planes, 3, stride, 1), (planes, 3, 1, 1)] if kind == 'basic' else
                 [(width, 1, 1, 1), (width, 3, stride, groups), (planes * 4, 1, 1, 1)])
        self.depth, self.names = convs[-1][0], []
        before = channels
        for i, (depth, size, conv_stride, conv_groups) in enumerate(convs, 1):
            self.names.append((f'conv{i}', f'bn{i}'))
            conv = nn.Conv2d(before, depth, size, conv_stride, size // 2, groups=conv_groups, bias=False)
            setattr(self, f'conv{i}', conv)
            setattr(self, f'bn{i}', nn.BatchNorm2d(depth))
            before = depth
        self.downsample = None
        if stride != 1 or channels != self.depth:
            self.downsample = nn.Sequential(nn.Conv2d(channels, self.depth, 1, stride, bias=False),
                                            nn.BatchNorm2d(self.depth))
        self.se = SqueezeAndExcitation(self.depth) if squeezes else None

    def forward(self, net):
        shortcut = net if self.downsample is None else self.downsample(net)
        for conv, norm in self.names:
            net = getattr(self, norm)(getattr(self, conv)(net))
            if (conv, norm) != self.names[-1]:
                net = torch.relu(net)
        if self.se is not None:
            net = self.se(net)
        return torch.relu(net + shortcut)


class ResNet(nn.Module):
    """One of NETWORKS; it returns logits and the results of its four layers."""

    def __init__(self, net, num_classes=1000, planes=PLANES):
        super().__init__()
        kind, num_units, *widths = NETWORKS[net]
        self.conv1 = nn.Conv2d(3, planes[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = planes[0]
        for i, (number, depth) in enumerate(zip(num_units, planes)):
            units = []
            for j in range(number):
                units.append(Unit(kind, channels, depth, 2 if i and not j else 1, *widths))
                channels = units[-1].depth
            setattr(self, f'layer{i + 1}', nn.Sequential(*units))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, images):
        net = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        blocks = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            net = layer(net)
            blocks.append(net)
        return self.fc(net.mean((2, 3))), blocks


def fill_model(model):
    """Gives each weight of a model the golden value of our variable of the same meaning."""
    shapes = torch_names.from_state_dict({name: value.numpy() for name, value in model.state_dict().items()})
    values = {name: random_weights.fill_variable(name, array.shape) for name, array in shapes.items()}
    load(model, torch_names.to_state_dict(values))


def load(model, state):
    """Loads a dict of arrays into a model: all of its weights, and no others."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)


def run(model, images):
    """What a model makes of images in float64, where rounding is too small to see.

    Args:
      model: `ResNet`.
      images: Array `[batch, height, width, 3]`.

    Returns:
      A dict of arrays: 'logits' and 'block1' to 'block4', channels last.
    """
    with torch.no_grad():
        return {name: value.numpy() for name, value in _run(model, images).items()}


def train(model, images, decay):
    """One pass forwards and backwards with the statistics of the batch, in float64.

    Args:
      model: `ResNet`.
      images: Array `[batch, height, width, 3]`.
      decay: Decay of the running statistics.

    Returns:
      Three dicts of arrays: as `run`; and, by torch's names, the gradients of half the sum of the logits' squares, and
      the running statistics after the pass.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1 - decay
    values = _run(model.train(), images)
    (values['logits'] ** 2).sum().div(2).backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    statistics = {name: buffer.numpy() for name, buffer in model.named_buffers() if buffer.ndim}
    return {name: value.detach().numpy() for name, value in values.items()}, gradients, statistics


def _run(model, images):
    logits, blocks = model.double()(torch.from_numpy(images.transpose(0, 3, 1, 2)).double())
    return dict({f'block{i}': block.permute(0, 2, 3, 1) for i, block in enumerate(blocks, 1)}, logits=logits)

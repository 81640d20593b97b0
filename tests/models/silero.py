"""Silero's voice activity detector at 16 kHz, one step: the network that its published weights fit.

Parameter names are those of ../shared/data/models/silero_vad_16k.safetensors.
"""

from __future__ import annotations

from torch import Tensor, nn


class Silero(nn.Module):
    """x (N, 576) and state h, c (N, 128) to the probability of speech (N, 1) and new state."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        padded = nn.functional.pad(x.unsqueeze(1), (0, 64), mode="reflect")
        real, imaginary = self.stft_conv(padded).chunk(2, dim=1)
        y = (real.square() + imaginary.square()).sqrt()
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            y = conv(y).relu()
        h, c = self.lstm_cell(y.squeeze(-1), (h, c))
        y = self.final_conv(h.relu().unsqueeze(-1)).sigmoid()
        return y.squeeze(-1), h, c


def silero() -> nn.Module:
    return Silero()

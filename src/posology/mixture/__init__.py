"""Doses, designs and controls: which conversations each arm is trained on."""
